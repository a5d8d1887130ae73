"""Pictures of nets as SVG text: bars, a timeline, bubbles, scores of a search, the graph folded."""
