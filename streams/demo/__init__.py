"""The demo: a simulated shop, how its recommendations are scored, and the screen that shows it."""
