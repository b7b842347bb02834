"""`make docs`: everything under docs/generated is made from the code; a test fails when it is stale."""
