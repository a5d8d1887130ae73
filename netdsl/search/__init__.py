"""Architecture search: a sampler proposes nets of a space that keep their budgets, and an objective scores them."""
