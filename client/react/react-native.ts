/** The hooks, with the client of React Native as their default. */
import '../react-native.js';

export * from './hooks.js';
