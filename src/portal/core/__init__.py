"""The middle: items, events, ports, the agent. No I/O."""
