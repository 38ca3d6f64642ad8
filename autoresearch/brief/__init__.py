"""Write the brief that an agent gets before it proposes a change."""
