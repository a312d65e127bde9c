"""A payment service provider that speaks Stripe's dialect, keeps its own books and fails on demand.

It exists so that the real SDK and the real adapter run in the demo, the tests and the fault campaign, and
so that a second set of books can judge ours. It never sees a real card and never imports anything of the
other apps.
"""
