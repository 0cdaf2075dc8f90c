"""The steps of the main job, one file each. A step reads the project and earlier steps' files, and leaves its own.

The file has the name of the step, and so has the function in it that does the step; the runner loads it by that name.
"""
