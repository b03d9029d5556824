"""Where training meets the adapters; nothing else here imports them."""
