"""The five services. They meet only on the bus; none imports another."""
