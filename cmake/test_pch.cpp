// Only carries the precompiled header of the tests that use no coroutines.
