"""What is worth telling, in which words, and the life of one telling: pure."""
