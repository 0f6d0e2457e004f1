/** What a kernel's WGSL text declares, found with a few regular expressions: enough to check the host's declaration. */
export interface WgslInterface {
  readonly bindings: readonly WgslBinding[];
  /** Fields of `struct Params`, in order; all are 4-byte scalars. */
  readonly params: readonly { readonly name: string; readonly type: string }[];
  /** The device features that the text's `enable`s need, e.g. `shader-f16`. */
  readonly features: readonly string[];
  /** `const NAME = 4u;` at module scope: the host reads such a number from the text instead of repeating it. */
  readonly consts: Readonly<Record<string, number>>;
}

export interface WgslBinding {
  readonly index: number;
  readonly name: string;
  readonly access: 'read' | 'read_write' | 'uniform';
  /** Element type of the array, or the struct's name. */
  readonly type: string;
}

/** The device feature that an `enable` needs. */
const FEATURES = new Map([
  ['f16', 'shader-f16'],
  ['subgroups', 'subgroups'],
]);

const BINDING =
  /@group\(0\)\s*@binding\((\d+)\)\s*var<\s*(storage|uniform)\s*(?:,\s*(read_write|read)\s*)?>\s*(\w+)\s*:\s*(?:array<\s*(?:atomic<)?(\w+)>*|(\w+))/g;

/** Reads the declarations of a WGSL text; anything it does not recognise is left out. */
export function parseWgsl(text: string): WgslInterface {
  const code = withoutComments(text);
  const bindings: WgslBinding[] = [];
  for (const [, index, space, access, name, element, struct] of code.matchAll(BINDING)) {
    bindings.push({
      index: Number(index),
      name,
      access: space === 'uniform' ? 'uniform' : ((access ?? 'read') as 'read' | 'read_write'),
      type: element ?? struct,
    });
  }
  const paramsBody = code.match(/struct\s+Params\s*\{([^}]*)\}/)?.[1] ?? '';
  const params = [...paramsBody.matchAll(/(\w+)\s*:\s*(\w+)/g)].map(([, name, type]) => ({ name, type }));
  const enabled = [...code.matchAll(/\benable\s+([\w\s,]+);/g)].flatMap(([, names]) =>
    names.trim().split(/\s*,\s*/),
  );
  const features = enabled.flatMap((name) => FEATURES.get(name) ?? []);
  const consts: Record<string, number> = {};
  for (const [, name, value] of code.matchAll(/^const\s+(\w+)\s*(?::\s*\w+)?\s*=\s*(\d+)u?\s*;/gm)) {
    consts[name] = Number(value);
  }
  return { bindings, params, features, consts };
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/[^\n]*/g, '');
}
