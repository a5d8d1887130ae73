"""Pictures of nets as SVG text: bars, a timeline, bubbles, and the graph with its blocks folded."""
