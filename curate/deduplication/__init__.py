"""Which samples repeat another: what is compared, by which methods, in which rounds, and what is kept between runs."""
