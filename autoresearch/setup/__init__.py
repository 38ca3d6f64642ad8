"""Turn a configuration into something that can run: project, slots, plan, forecast."""
