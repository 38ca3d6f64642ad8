"""Run untrusted programs in cells: namespaces, Landlock, seccomp, limits, and their death."""
