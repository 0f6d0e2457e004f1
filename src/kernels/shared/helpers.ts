/** The WGSL helpers that kernels share; a kernel lists what it calls, and they are appended to its text. */
export const readWeight = new URL('./readWeight.wgsl', import.meta.url);
export const flatGroup = new URL('./flatGroup.wgsl', import.meta.url);
export const workgroupReduce = new URL('./workgroupReduce.wgsl', import.meta.url);
export const onlineSoftmax = new URL('./onlineSoftmax.wgsl', import.meta.url);
export const finite = new URL('./finite.wgsl', import.meta.url);
export const banned = new URL('./banned.wgsl', import.meta.url);
export const random = new URL('./random.wgsl', import.meta.url);
export const samplingCut = new URL('./samplingCut.wgsl', import.meta.url);
export const panelRows = new URL('./panelRows.wgsl', import.meta.url);
export const readPanel = new URL('./readPanel.wgsl', import.meta.url);
export const gemvPanel = new URL('./gemvPanel.wgsl', import.meta.url);
export const erf = new URL('./erf.wgsl', import.meta.url);
export const storePanel = new URL('./storePanel.wgsl', import.meta.url);
export const products = new URL('./products.wgsl', import.meta.url);
export const scoreBlock = new URL('./scoreBlock.wgsl', import.meta.url);
export const weightedRows = new URL('./weightedRows.wgsl', import.meta.url);
