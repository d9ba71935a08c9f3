/** Settings of a job that names none of its own. */

export const usualImage = "pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime";
export const usualHours = 1;
