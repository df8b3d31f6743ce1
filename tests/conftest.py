from hypothesis import settings

# How long an example takes depends on the machine, and no test is about that.
settings.register_profile("chromasonic", deadline=None)
settings.load_profile("chromasonic")
