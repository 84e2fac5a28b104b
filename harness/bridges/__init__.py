"""Bridges: losses of other libraries as methods, by a name with the library's in front (`pml:TripletMarginLoss`)."""
