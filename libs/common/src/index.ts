export * from './errors.js';
export * from './envelope.js';
export * from './ids.js';
export * from './fields.js';
export * from './dto-validator.js';
export * from './dto.pipe.js';
export * from './list-query.dto.js';
export * from './responses.js';
