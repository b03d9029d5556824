"""What handlers need from the outside world. Each port is small enough to fake; the fake in ``tests/fakes``
and the real adapter pass the same contract tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from domain.messages.base import Message
from domain.messages.envelope import Buffer, Envelope
from domain.messages.jobs import HistoryEntry, OpenJob
from domain.messages.speech import Voice
from domain.values import HeatMapGrid, ModelIdentity, Note, Region, Scale, VerdictWord
from domain.verdict import OperatingPoint

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


#: Called with how many are done, and of how many.
ProgressCallback = Callable[[int, int], None]
#: Called with what is being counted, how many are done, and of how many.
NamedProgressCallback = Callable[[str, int, int], None]
#: Called with a line for a person.
StatusCallback = Callable[[str], None]


class Clock(Protocol):
    """Time that a test can own."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    def utc_now(self) -> str:
        """RFC 3339 in UTC."""
        ...


# --- images and models ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DecodedImage:
    """``pixels`` H×W×3 uint8 RGB, upright; ``scale`` if the file states one that makes sense."""

    pixels: NDArray[np.uint8]
    scale: Scale | None
    notes: tuple[Note, ...] = ()


class ImageReader(Protocol):
    """Turns encoded bytes into pixels."""

    def decode(self, data: Buffer) -> DecodedImage:
        """Decode any supported format.

        Raises: EmptyFile, NotAnImage, TruncatedImage, ImageTooLarge, ImageTooSmall (all CallerError), OutOfMemory.
        """
        ...


class Classifier(Protocol):
    """One loaded and validated model.

    ``score`` and ``explain`` are for one thread at a time, ``in_domain`` for any.
    """

    identity: ModelIdentity
    operating_point: OperatingPoint
    patch_px: int
    um_per_px: float
    device: str

    def score(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logit margins (tumour minus normal), shape (N,), of patches (N, patch_px, patch_px, 3) uint8."""
        ...

    def explain(self, patch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """A class-activation map in 0..1, any H×W, of one patch (patch_px, patch_px, 3) uint8."""
        ...

    def in_domain(self, patches: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """For each patch whether it looks like the stained tissue that the model was trained on, shape (N,)."""
        ...


# --- bus -----------------------------------------------------------------------------------------------------------


class BrokerClient(Protocol):
    """A client's two lines to the broker: its requests and answers, and its session's events.

    Owned by one thread, which calls ``drain``, ``wait`` or ``request`` all the time. The client notices when the broker
    goes and returns: a request that was left unanswered is then asked for again, so nobody else sends anything twice.
    It asks the broker for its status once a second; whoever drains gets the answers.
    """

    session: str
    connections: int
    """How many connections there were; after a new one, events may have been missed."""

    @property
    def reachable(self) -> bool | None:
        """Whether the broker answers; None while it has not answered yet and may be starting."""
        ...

    def send(self, body: Message, buffers: Sequence[Buffer] = (), *, job_id: str | None = None) -> str:
        """Queue a request; returns the header id that its answers carry as ``correlationid``. Never blocks.

        Raises BrokerUnreachable when too many requests are unanswered.
        """
        ...

    def request(self, body: Message, kind: type[Message], *, timeout_s: float) -> Envelope:
        """Send, and wait for the answer of this ``kind``; what else arrives is kept for ``drain``.

        Raises: RequestRefused, BrokerUnreachable (no answer within ``timeout_s``).
        """
        ...

    def drain(self, limit: int = 10) -> list[Envelope]:
        """At most ``limit`` answers and events that have arrived, oldest first; empty when there are none."""
        ...

    def wait(self, timeout_s: float) -> bool:
        """True as soon as ``drain`` has something, False after ``timeout_s``."""
        ...

    def descriptors(self) -> tuple[int, ...]:
        """Become readable when something may have arrived; edge-triggered, so follow up with ``drain`` or ``wait``."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class WorkerSocket(Protocol):
    """A classifier's line: it binds, brokers connect. One thread receives; any thread may send."""

    endpoint: str
    """Where it listens."""

    def receive(self, timeout_s: float) -> tuple[bytes, Envelope] | None:
        """The next well-formed message and the peer it came from; None after ``timeout_s``.

        A malformed or foreign message is answered with ``RequestRejected`` and never returned.
        """
        ...

    def send(self, peer: bytes, envelope: Envelope) -> None:
        """Queue an answer; a peer that has gone is ignored (its broker has requeued the job)."""
        ...

    def close(self) -> None:
        """Send what is queued (at most a second) and close."""
        ...


class EventBus(Protocol):
    """A connection to the event bus for processes that subscribe and publish (speech, supervisor, listener)."""

    session: str

    def receive(self, timeout_s: float) -> Envelope | None:
        """The next event of this session or of everybody (and, for the speech worker, its commands)."""
        ...

    def publish(self, body: Message, *, correlation_id: str | None = None, to_everybody: bool = False) -> None:
        """Publish to this session, or to everybody. Any thread may call it."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


# --- speech --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pcm:
    """Mono 16-bit sound: ``samples`` little-endian bytes at ``rate_hz``."""

    samples: bytes
    rate_hz: int

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return len(self.samples) / 2 / self.rate_hz


class SpeechEngine(Protocol):
    """Renders text to sound; it never plays anything."""

    name: str

    def voices(self) -> tuple[Voice, ...]:
        """Voices that work here; raises EngineUnavailable when the engine cannot work at all."""
        ...

    def render(self, text: str, *, voice: str | None, rate_wpm: int, language: str) -> Pcm:
        """Speak ``text`` into memory. Raises EngineUnavailable; an unknown voice falls back to the language's."""
        ...

    def close(self) -> None:
        """Give back what the engine holds; a hung rendering is killed."""
        ...


class SpeechEngines(Protocol):
    """The engines by name."""

    @property
    def names(self) -> tuple[str, ...]:
        """All, working here or not."""
        ...

    def build(self, name: str) -> SpeechEngine:
        """A new engine. Raises UnknownEngine."""
        ...

    def unavailable_because(self, name: str) -> str | None:
        """Why it cannot work here; None when it can."""
        ...


class AudioPlayer(Protocol):
    """Plays one sound at a time."""

    def play(self, sound: Pcm, *, volume: float, on_end: Callable[[bool], None]) -> None:
        """Start playing and return at once; ``on_end(completed)`` is called once. Raises NoSoundDevice."""
        ...

    def stop(self) -> None:
        """Silence within 150 ms; harmless when nothing plays."""
        ...

    def has_device(self) -> bool:
        """Whether there is something to play on."""
        ...


# --- journal -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class JournalledJob:
    """An accepted job: its request as it came, and the lease count so far."""

    request: Envelope
    attempt: int


class Journal(Protocol):
    """The broker's durable memory. Every method is one transaction."""

    def accept(self, request: Envelope) -> bool:
        """Store a new job with its buffers; False when the job id is already known."""
        ...

    def answer_of(self, job_id: str) -> Envelope | None:
        """The stored final answer (``ImagesClassified``, ``ImageExplained``, ``JobFailed``, ``JobCancelled``)."""
        ...

    def lease(self, job_id: str) -> int:
        """Count one more attempt and return it (1 at first)."""
        ...

    def finish(self, job_id: str, answer: Envelope) -> bool:
        """Store the final answer and drop the image bytes; False when one is already stored (the first wins)."""
        ...

    def unanswered(self) -> list[JournalledJob]:
        """All jobs without an answer, interactive first, then oldest first (used at start)."""
        ...

    def open_jobs(self, session: str) -> tuple[OpenJob, ...]:
        """This session's unanswered jobs."""
        ...

    def known_result(self, sha256: str, fingerprint: str, um_per_px: float | None) -> tuple[object, bytes] | None:
        """The stored (ImageResult, heat map bytes) of an equal image under an equal model and stated scale."""
        ...

    def history(
        self, *, text: str, word: VerdictWord | None, before: int | None, limit: int
    ) -> tuple[list[tuple[HistoryEntry, bytes]], int]:
        """Matching entries with their heat maps (empty bytes: none), newest first, and how many match in all."""
        ...

    def forget(self, serials: Sequence[int], everything: bool) -> int:
        """Remove answered results; returns how many."""
        ...

    def tidy(self) -> None:
        """Leave no trace of what was deleted, and give its space back. Takes a moment: for when nothing is open."""
        ...

    def close(self) -> None:
        """Flush and close."""
        ...


__all__ = [
    "AudioPlayer",
    "BrokerClient",
    "Classifier",
    "Clock",
    "DecodedImage",
    "HeatMapGrid",
    "ImageReader",
    "Journal",
    "JournalledJob",
    "Pcm",
    "Region",
    "SpeechEngine",
]
