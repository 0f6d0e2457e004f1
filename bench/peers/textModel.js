// A Qwen2 text model with random weights: our engine compared with llama.cpp on Vulkan and on the CPU.

// @ts-check
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { attempt, interleave, openEngines } from './interleave.js';
import { writeRandomGguf } from './qwenGguf.js';

/**
 * @param {object} settings
 * @param {import('../randomModel.js').ShapeName} settings.shape
 * @param {number} [settings.layers] fewer than the shape has
 * @param {string} settings.folder for the GGUF file
 * @param {number} settings.context tokens of the prompt before the decode
 * @param {number} settings.decode tokens that are timed
 * @param {number} settings.prefill tokens of the prompt of the prefill
 * @param {number} settings.rounds
 * @param {number} settings.warmups
 * @returns {Promise<{ measures: import('./run.js').Measure[], info: any }>}
 */
export async function measureTextModel(settings) {
  const { shape, layers, folder, context, decode, prefill, rounds, warmups } = settings;
  const gguf = join(folder, `${shape}.gguf`);
  await writeRandomGguf(gguf, shape, layers);
  const vulkan = { module: 'llamaText.js', options: { gguf, gpu: 'vulkan' } };
  const visible = { GGML_VK_VISIBLE_DEVICES: process.env.GGML_VK_VISIBLE_DEVICES ?? '0' };
  const engines = await openEngines([
    { name: 'm2-reasoning, bf16', module: 'oursText.js', options: { shape, layers } },
    { name: 'llama.cpp Vulkan, F16', ...vulkan, env: visible },
    // Its f16 arithmetic gives wrong tokens on some software adapters.
    {
      name: 'llama.cpp Vulkan, F16, f32 arithmetic',
      ...vulkan,
      env: { ...visible, GGML_VK_DISABLE_F16: '1' },
    },
    { name: 'llama.cpp CPU, F16', module: 'llamaText.js', options: { gguf, gpu: false } },
  ]);
  try {
    const steps = 2 + decode; // the prefill's token, one to warm up, and the timed ones
    /** @type {number[]} */
    let expected = [];
    for (const [index, engine] of engines.entries()) {
      await attempt(engine, async () => {
        const { tokens } = await engine.process.call('generate', { promptTokens: context, steps });
        if (index === 0) expected = tokens;
        const agreeing = expected.findIndex((token, i) => token !== tokens[i]);
        engine.agreement = `${agreeing < 0 ? steps : agreeing} of ${steps} tokens agree`;
        if (engine.info.placement) engine.agreement += `; ${engine.info.placement}`;
        if (agreeing === 0) throw new Error('wrong first token, not timed');
      });
    }
    const decodeRows = await interleave(engines, { rounds, warmups }, async (process) => {
      return 1000 / (await process.call('generate', { promptTokens: context, steps })).msPerToken;
    });
    const prefillRows = await interleave(engines, { rounds, warmups }, async (process) => {
      const { prefillMs } = await process.call('generate', { promptTokens: prefill, steps: 1 });
      return (1000 * prefill) / prefillMs;
    });
    const size = `${layers === undefined ? '' : `${layers} layers, `}${(statSync(gguf).size / 1e6).toFixed(0)} MB of weights`;
    const name = shape === '0.5b' ? "Qwen2.5-0.5B's shape" : "m2-tiny's decoder shape";
    return {
      measures: [
        {
          name: `${name}, decode at ${context}`,
          unit: 'tokens/s',
          note: `${size}, ${decode} tokens`,
          rows: decodeRows,
        },
        {
          name: `${name}, prefill ${prefill}`,
          unit: 'tokens/s',
          note: `${size}, to the first token`,
          rows: prefillRows,
        },
      ],
      info: engines[0].info,
    };
  } finally {
    for (const { process } of engines) process.close();
  }
}
