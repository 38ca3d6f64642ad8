"""Write what a researcher is told before it proposes a change."""
