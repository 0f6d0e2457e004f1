import { expect, it } from 'vitest';
import { parseAnswer } from '../src/model/generation/answer.ts';

it.each([
  ['<think>a</think>\n<answer>\\boxed{2}</answer><|im_end|>', ['a', '\\boxed{2}', '2', true]],
  [
    '<think> a </think><answer>\\boxed{\\frac{1}{2}}</answer>',
    ['a', '\\boxed{\\frac{1}{2}}', '\\frac{1}{2}', true],
  ],
  ['<think>a</think><answer>\\boxed{1} or \\boxed{2}</answer>', ['a', '\\boxed{1} or \\boxed{2}', '2', true]],
  ['<think>cut off', ['cut off', null, null, false]],
  ['<think>a</think><answer>no box</answer>', ['a', 'no box', null, false]],
  ['<think>a</think><answer>\\boxed{open', ['a', '\\boxed{open', null, false]],
  ['<think>a</think><answer>\\boxed{1} \\boxed{open</answer>', ['a', '\\boxed{1} \\boxed{open', '1', true]],
  ['<answer>\\boxed{1}</answer><think>late</think>', ['late', '\\boxed{1}', '1', false]],
  ['<think>a<think>b</think></think><answer>\\boxed{1}</answer>', ['a<think>b', '\\boxed{1}', '1', false]],
  ['plain \\boxed{7} text', [null, null, '7', false]],
  ['', [null, null, null, false]],
])('%j', (text, [think, answer, boxed, wellFormed]) => {
  expect(parseAnswer(text)).toEqual({ think, answer, boxed, wellFormed });
});
