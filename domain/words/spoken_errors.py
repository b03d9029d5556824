"""What an error's code means when it is said aloud: what happened and what to do, in one short sentence."""

from __future__ import annotations

from collections.abc import Mapping

from domain.words import mark

SPOKEN_ERRORS: Mapping[str, str] = {
    "bad_request": mark("the request was wrong. Check it and try again."),
    "internal_error": mark("Histovox made a mistake. Please try again."),
    "bad_configuration": mark("Histovox is not set up rightly. See the screen."),
    "unknown_architecture": mark("the model's architecture is unknown. See the screen."),
    "bad_model_package": mark("the model is damaged. Install it again."),
    "unknown_model": mark("no model has that name. Choose another."),
    "unknown_engine": mark("no speech engine has that name. Choose another."),
    "unknown_voice": mark("no voice has that name. Choose another."),
    "engine_unavailable": mark("the speech engine does not work here. Choose another."),
    "speech_unavailable": mark("the speech worker is not running."),
    "speech_queue_full": mark("too much is waiting to be said."),
    "no_sound_device": mark("there is no sound device. Captions go on."),
    "address_in_use": mark("another process uses the address. Close it first."),
    "file_unreadable": mark("the file cannot be opened. Check that it is there and may be read."),
    "not_an_image": mark("this is not an image that can be read. Choose another file."),
    "empty_file": mark("the file is empty. Choose another."),
    "truncated_image": mark("the image is cut off. Copy the file again."),
    "image_too_large": mark("the image is too large. Open a smaller region."),
    "image_too_small": mark("the image is too small. Open a larger one."),
    "malformed_frame": mark("a message was malformed. Please try again."),
    "unknown_message_type": mark("a message was of an unknown type. Check the versions."),
    "protocol_mismatch": mark("two parts are of different versions. Install them alike."),
    "broker_unreachable": mark("the message broker does not answer. Restart Histovox."),
    "journal_failed": mark("the case history cannot be written. Check the disk."),
    "scale_unusable": mark("the image is too coarse to tell nuclei apart. Open one of higher magnification."),
    "out_of_memory": mark("the device has too little memory. Close other programs and try again."),
    "busy": mark("too many jobs are waiting. Try again in a moment."),
    "cancelled": mark("it was cancelled."),
    "deadline_passed": mark("it took too long. Please try again."),
    "job_id_taken": mark("the job's number is already in use. Please try again."),
    "not_a_request": mark("the message was no request. Check the versions."),
    "no_images_found": mark("no image was found there. Choose another folder."),
    "bad_training_data": mark("the training data cannot be used. See the screen."),
    "bad_recipe": mark("the training recipe cannot be followed. See the screen."),
    "training_diverged": mark("the training diverged. Lower the learning rate."),
    "run_not_saved": mark("the training could not be saved. Check the disk."),
    "attempts_exhausted": mark("the classifier failed several times. Please try again later."),
    "worker_lost": mark("the classifier was lost. Please try again."),
}
