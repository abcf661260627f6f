"""The running system: messages, topology, agents, interest state, settings, CLI."""
