#!/usr/bin/env bash
# Make this checkout ready:  scripts/setup.sh run | dev [sample]
#
# run: what the application needs.  dev: also what the tests and checks need.  sample: fetch the sample picture as well.
# The second call finds a stamp of what was installed and returns at once. pip's and apt's own words go to a log.
set -euo pipefail
cd "$(dirname "$0")/.."

mode=${1:?run or dev}
also=${2:-}
venv=.venv
log=.cache/setup.log
need_gb=7

say() { printf '  %s\n' "$*" >&2; }
fail() { printf '\nSet-up stopped: %s\n' "$*" >&2; exit 1; }

# --- what is wanted, and whether it is there -----------------------------------------------------------------------

# The tool sections of pyproject.toml install nothing, so they are left out; a moved checkout needs a new environment.
wanted() { { sed '/^\[tool\.ruff\]/,$d' pyproject.toml; cat constraints.txt; echo "$PWD"; } | cksum; }
stamp() { echo "$venv/histovox-$1.stamp"; }
installed() {
    local each
    [ -x "$venv/bin/python" ] || return 1
    for each in "$@"; do
        [ -f "$(stamp "$each")" ] && [ "$(cat "$(stamp "$each")")" = "$(wanted)" ] && return 0
    done
    return 1
}
ready() { case $mode in run) installed run dev ;; *) installed dev ;; esac; }

# --- Debian packages -----------------------------------------------------------------------------------------------

debian_packages() {
    echo libportaudio2 fonts-inter fonts-wqy-microhei
    [ "$mode" = run ] || echo xvfb xdotool pulseaudio pulseaudio-utils alsa-utils libasound2-plugins sox espeak-ng
}
missing_of() {
    local there
    there=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)
    local name
    for name in "$@"; do grep -qx "$name installed" <<<"$there" || echo "$name"; done | xargs
}
may_install() { command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
apt_install() {
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=120 --no-install-recommends install)
    as_root "${install[@]}" "$@" >>"$log" 2>&1 && return 0
    as_root apt-get -o DPkg::Lock::Timeout=120 update >>"$log" 2>&1 || true
    as_root "${install[@]}" "$@" >>"$log" 2>&1
}
# $1: what is lost without them; the rest: packages. Says what it did or what a person has to do; never fails.
debian() {
    local loss=$1 missing failed=.cache/apt-failed
    shift
    command -v dpkg-query >/dev/null || return 0
    missing=$(missing_of "$@")
    [ -n "$missing" ] || return 0
    if ! may_install; then
        say "not installed, and not permitted to: sudo apt-get install $missing"
    elif [ -f "$failed" ] && [ "$(cat "$failed")" = "$missing" ]; then
        say "apt-get failed to install $missing before (rm $failed to try again)."
    else
        say "Debian packages: $missing"
        # shellcheck disable=SC2086  # a list of words
        apt_install $missing && return 0
        echo "$missing" >"$failed"
        say "apt-get could not install them; see $log"
    fi
    say "Going on without them. $loss"
}

# --- Python --------------------------------------------------------------------------------------------------------

fit='import sys; assert sys.version_info >= (3, 11)'
# A Python that can make a window comes first, then any that can make an environment.
find_python() {
    local extra name
    for extra in ", venv, ensurepip, tkinter" ", venv, ensurepip"; do
        for name in ${PYTHON:-} python3.11 python3.12 python3.13 python3.14 python3 /usr/bin/python3; do
            if "$name" -c "$fit; import sys$extra" >/dev/null 2>&1; then
                command -v "$name"
                return 0
            fi
        done
    done
    return 1
}
choose_python() {
    find_python && return 0
    debian "Histovox needs Python 3.11 or newer." python3 python3-venv python3-tk
    find_python && return 0
    fail "there is no Python 3.11 or newer with the venv module.
  On Debian or Ubuntu: sudo apt-get install python3 python3-venv python3-tk
  Elsewhere: https://www.python.org/downloads/ ; or name one: make PYTHON=/path/to/python3.12 run"
}
python_version() { "$1" -c 'import sys; print(sys.version_info[:2])' 2>/dev/null; }
# Whether the environment works, was made in this folder, and with the Python that a person asked for, if one did.
venv_fits() {
    "$venv/bin/python" -c "$fit; import pip" >/dev/null 2>&1 && grep -qF "$PWD/$venv" "$venv/bin/activate" &&
        { [ -z "${PYTHON:-}" ] || [ "$(python_version "$PYTHON")" = "$(python_version "$venv/bin/python")" ]; }
}
make_venv() {
    local python
    venv_fits && return 0
    python=$(choose_python)
    say "Python: $("$python" -c 'import sys; print(sys.version.split()[0], sys.executable)')"
    "$python" -m venv --clear "$venv" >>"$log" 2>&1 || fail "$python could not make $venv: $(tail -n 3 "$log")"
}
check_tkinter() {
    "$venv/bin/python" -c 'import tkinter' 2>/dev/null && return 0
    case $("$venv/bin/python" -c 'import sys; print(sys.base_prefix)') in
        /usr) debian "Without Tk there is no window, only the command line." python3-tk ;;
        *) say "this Python has no tkinter: no window, only the command line. Install Tk for it, or take another:" \
            "make PYTHON=/usr/bin/python3 run" ;;
    esac
}

# --- Python packages -----------------------------------------------------------------------------------------------

check_space() {
    local free_gb
    [ -d "$venv"/lib/python3*/site-packages/torch ] 2>/dev/null && return 0
    free_gb=$(($(df -Pk . | awk 'NR == 2 { print $4 }') / 1024 / 1024))
    [ "$free_gb" -ge "$need_gb" ] || fail "PyTorch and the rest need about $need_gb GB here; only $free_gb GB are free."
}
pip_install() { "$venv/bin/python" -m pip install --no-input --progress-bar off -c constraints.txt "$@" >>"$log" 2>&1; }
# Show that something happens: a changing line on a terminal, a line every half minute elsewhere.
progress() {
    local words
    words=$(tail -n +"$1" "$log")
    if grep -q '^Installing collected' <<<"$words"; then
        echo "unpacking $(grep '^Installing collected' <<<"$words" | tail -n 1 | wc -w) packages"
    else
        echo "fetching ($(grep -cE '^(Collecting|Processing) ' <<<"$words" || true) packages so far)"
    fi
}
watch() {
    local pid=$1 from=$2 began=$SECONDS told=0
    while kill -0 "$pid" 2>/dev/null; do
        if [ -t 2 ]; then
            printf '\r\033[K  %s, %s s' "$(progress "$from")" $((SECONDS - began)) >&2
        elif [ $((SECONDS - began - told)) -ge 30 ]; then
            told=$((SECONDS - began))
            say "… $(progress "$from"), $told s"
        fi
        sleep 1
    done
    [ ! -t 2 ] || printf '\r\033[K' >&2
}
explain_pip_failure() {
    local from=$1 words errors
    words=$(tail -n +"$from" "$log")
    errors=$(grep -E '^ERROR' <<<"$words" | tail -n 3 || true)
    if grep -qiE 'No space left' <<<"$words"; then
        fail "the disk is full (about $need_gb GB are needed, and as much again under ${TMPDIR:-/tmp} for a moment)."
    elif grep -qE 'NewConnectionError|NameResolutionError|Max retries exceeded|ReadTimeout|ConnectTimeout|ProxyError' <<<"$words"; then
        fail "the package index cannot be reached. Is there a network (or a pip proxy or mirror to set)?
  Nothing is lost: the next make goes on from here. Details: $log"
    elif grep -qE 'No matching distribution|requested \(constraint\)' <<<"$words"; then
        fail "pip found no $(grep -oE '\(constraint\) \S+|found for \S+' <<<"$words" | awk '{ print $NF; exit }') for $("$venv/bin/python" -V).
  Either the package index cannot be reached (is there a network? does pip need a proxy or mirror?),
  or it has no such version for this Python or machine; Python 3.11 is the tested one: make PYTHON=python3.11 run
  Nothing is lost: the next make goes on from here. Details: $log"
    fi
    fail "pip failed; the whole story is in $log
${errors:-$(tail -n 5 "$log")}"
}
install_packages() {
    local what=. from pid
    [ "$mode" = run ] || what=".[dev]"
    check_space
    from=$(($(wc -l <"$log") + 1))
    say "Python packages at pinned versions (PyTorch is large: a few minutes the first time)"
    # setuptools is pinned as well, so the build that makes `histovox` a command uses it instead of fetching another.
    (pip_install setuptools && pip_install --no-build-isolation -e "$what") &
    pid=$!
    trap 'kill "$pid" 2>/dev/null || true' INT TERM
    watch "$pid" "$from"
    wait "$pid" || explain_pip_failure "$from"
    trap - INT TERM
    wanted >"$(stamp "$mode")"
}

# --- the sample picture --------------------------------------------------------------------------------------------

# The stamp names the file that was fetched, or is empty; after a failure it is tried again on another day.
fetch_sample() {
    local stamp=.cache/sample.stamp
    [ "$also" = sample ] || return 0
    [ -f "$(cat "$stamp" 2>/dev/null)" ] && return 0
    [ -n "$(find "$stamp" -mtime -1 2>/dev/null)" ] && return 0
    "$venv/bin/python" scripts/fetch_sample.py >"$stamp" || true
}

# --- the story -----------------------------------------------------------------------------------------------------

wait_for_turn() {
    # Two makes at once: the second waits for the first and then finds its work done. (macOS has no flock.)
    exec 9>.cache/setup.lock
    command -v flock >/dev/null || return 0
    flock -n 9 || { say "another set-up is running here; waiting for it" && flock 9; }
}

loss='There may be no sound.'
[ "$mode" = run ] || loss='Tests that need them are skipped.'
mkdir -p .cache
read -ra packages <<<"$(debian_packages | xargs)"
if ready && [ -z "$(missing_of "${packages[@]}" 2>/dev/null)" ]; then
    fetch_sample
    exit 0
fi
wait_for_turn
debian "$loss" "${packages[@]}"
if ! ready; then
    printf 'Setting up Histovox (log: %s)\n' "$log" >&2
    date >>"$log"
    make_venv
    check_tkinter
    install_packages
    say "ready after $SECONDS s"
fi
fetch_sample
