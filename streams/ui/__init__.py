"""The playground: one page on which a person clicks, buys, and watches the recommendations follow."""
