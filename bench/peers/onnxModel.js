// Writes small ONNX models: the protobuf messages of onnx.proto, encoded by hand.

// @ts-check

const FLOAT = 1; // TensorProto.DataType
const INT64 = 7;
const IR_VERSION = 10;
const OPSET = 17;

/**
 * `out = rows of (scale · x0 · Wᵀ · Wᵀ …)`, with `chain` products. `scale` is the only input, so that nothing can be computed when
 * the model is loaded, and nothing large is copied when it runs.
 *
 * @param {object} graph
 * @param {number} graph.size x0 and W are [size, size]
 * @param {number} graph.chain
 * @param {Float32Array} graph.x0
 * @param {Float32Array} graph.transposedWeight Wᵀ, the right operand of MatMul
 * @param {readonly number[]} graph.rows the rows of the last product to output
 * @returns {Uint8Array}
 */
export function matmulChainModel({ size, chain, x0, transposedWeight, rows }) {
  const nodes = [node('Mul', ['x0', 'scale'], 'y0')];
  for (let i = 0; i < chain; i++) nodes.push(node('MatMul', [`y${i}`, 'weight'], `y${i + 1}`));
  nodes.push(node('Gather', [`y${chain}`, 'rows'], 'out'));
  const graph = message([
    ...nodes.map((bytes) => bytesField(1, bytes)),
    stringField(2, 'matmul chain'),
    bytesField(5, tensor('x0', FLOAT, [size, size], x0)),
    bytesField(5, tensor('weight', FLOAT, [size, size], transposedWeight)),
    bytesField(5, tensor('rows', INT64, [rows.length], BigInt64Array.from(rows, BigInt))),
    bytesField(11, valueInfo('scale', [1])),
    bytesField(12, valueInfo('out', [rows.length, size])),
  ]);
  return message([
    varintField(1, IR_VERSION),
    bytesField(7, graph),
    bytesField(8, message([stringField(1, ''), varintField(2, OPSET)])),
  ]);
}

/** NodeProto @param {string} operator @param {readonly string[]} inputs @param {string} output */
function node(operator, inputs, output) {
  return message([
    ...inputs.map((input) => stringField(1, input)),
    stringField(2, output),
    stringField(4, operator),
  ]);
}

/**
 * TensorProto
 * @param {string} name @param {number} dataType @param {readonly number[]} shape @param {Float32Array | BigInt64Array} values
 */
function tensor(name, dataType, shape, values) {
  return message([
    ...shape.map((size) => varintField(1, size)),
    varintField(2, dataType),
    stringField(8, name),
    bytesField(9, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)),
  ]);
}

/** ValueInfoProto of an f32 tensor @param {string} name @param {readonly number[]} shape */
function valueInfo(name, shape) {
  const dimensions = message(shape.map((size) => bytesField(1, varintField(1, size))));
  const tensorType = message([varintField(1, FLOAT), bytesField(2, dimensions)]);
  return message([stringField(1, name), bytesField(2, bytesField(1, tensorType))]);
}

/** @param {readonly Uint8Array[]} fields */
function message(fields) {
  return Buffer.concat(fields);
}

/** @param {number} field @param {number} value */
function varintField(field, value) {
  return Buffer.from([...varint(field << 3), ...varint(value)]);
}

/** @param {number} field @param {string} text */
function stringField(field, text) {
  return bytesField(field, Buffer.from(text));
}

/** @param {number} field @param {Uint8Array} bytes */
function bytesField(field, bytes) {
  return Buffer.concat([Buffer.from([...varint((field << 3) | 2), ...varint(bytes.byteLength)]), bytes]);
}

/** Seven bits per byte, lowest first. @param {number} value below 2^31 */
function varint(value) {
  const bytes = [];
  for (; value > 0x7f; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  return [...bytes, value];
}
