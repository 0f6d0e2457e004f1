// The library as its users see it. By path: this folder has a package.json of its own, for the peers, and so the name
// 'm2-reasoning' does not lead to the package around it.

// @ts-check
export * from '../../dist/index.js';
export { folderFiles } from '../../dist/index.node.js';
