/** Default settings of a job. */

export const usualImage = "pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime";
export const usualHours = 1;
