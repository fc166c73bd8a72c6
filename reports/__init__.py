"""What people read: the live view, tables, figures and the report of a study."""
