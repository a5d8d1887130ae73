"""What a net costs: conventions, tables, budgets."""
