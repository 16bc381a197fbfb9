"""docs/scale.md: what a mailing takes and costs, from 1,000 to 100,000,000 subscribers. `make scale` writes it anew."""
