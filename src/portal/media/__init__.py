"""Pictures, video and music: engines that make them, workflows, and the studio that does jobs."""
