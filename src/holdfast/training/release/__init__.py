"""The door between sums of records and the outside: noise from the operating system, in whole numbers."""
