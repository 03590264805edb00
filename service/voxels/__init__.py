"""Work on voxel grids that several rooms share."""
