"""Run untrusted programs in cells: namespaces, Landlock, seccomp, limits, and killing whole process trees."""
