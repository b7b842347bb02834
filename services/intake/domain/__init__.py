"""What intake decides and how it remembers what others decided; pure."""
