"""What editors and the playground show of a spec while it is written: offsets only, and no protocol."""
