"""The built site into a bucket, so that an interrupted publish leaves a working site and the next one finishes it.

    output/ ──piece──► pieces ┐
    bucket ──listing, record──┴► plan ──publishing──► bucket (assets, new pages, changed pages, feeds, deletions)
                                                        │
                        lease: one publisher at a time  └──► invalidation of what readers may hold an old copy of

In the bucket the site lies below site/, which CloudFront may read; what is remembered of it lies below state/, which
only publishers may.
"""
