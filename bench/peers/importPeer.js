// @ts-check
/**
 * Imports a peer's package, without types, so that this folder can be type-checked without any peer installed.
 *
 * @param {string} name
 * @returns {Promise<any>}
 */
export async function importPeer(name) {
  try {
    return await import(name);
  } catch (error) {
    const { code } = /** @type {{ code?: string }} */ (error);
    if (code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new Error(`${name} is not installed: npm ci --prefix bench/peers --ignore-scripts`);
  }
}
