"""Where programs come from: files fetched, checked, unpacked, and kept as copies."""
