// The library as its users see it. Imported by path, because this folder has its own package.json for the peers, so that the name
// 'm2-reasoning' does not resolve to the surrounding package.

// @ts-check
export * from '../../dist/index.js';
export { folderFiles } from '../../dist/index.node.js';
