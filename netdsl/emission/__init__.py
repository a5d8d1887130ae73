"""What emitters share: pieces of code, classes from instances, forward functions, lines of text."""
