//! Volumes: what lies between a partition and a file system.
