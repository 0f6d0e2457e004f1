import { choosingKernels } from './choose/choosingKernels.ts';
import { fastKernels } from './fast/fastKernels.ts';
import { plainKernels } from './plain/plainKernels.ts';

/** Every kernel that a model may run; a user may replace any of them. */
export const kernels = { ...plainKernels, ...choosingKernels, ...fastKernels };

export type KernelSet = typeof kernels;
