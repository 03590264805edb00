"""What stands beside the image in compressed frames: comments, application data, thumbnails, boxes."""
