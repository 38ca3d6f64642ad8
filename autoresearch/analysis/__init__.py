"""Answer questions about a session after its loop: totals, ablations, exports, comparisons."""
