const MODULES = 'telemed-sync|yjs|lib0|y-protocols';

module.exports = {
  projects: [
    { displayName: 'node', testEnvironment: 'node', testMatch: ['**/node.test.js', '**/ward.test.js'] },
    { displayName: 'jsdom', testEnvironment: 'jsdom', testMatch: ['**/screen.test.js', '**/ward.test.js'] },
    {
      // The conditions and the mocks of a phone, as the preset of React Native has them; the rest is docs/reference/CLIENT.md.
      displayName: 'phone',
      testEnvironment: 'node',
      testEnvironmentOptions: { customExportConditions: ['require', 'react-native'] },
      testMatch: ['**/phone.test.js'],
      transformIgnorePatterns: [`node_modules/(?!(?:${MODULES})/)`],
      moduleNameMapper: {
        '^isomorphic-webcrypto/src/react-native$':
          '<rootDir>/node_modules/telemed-sync/dist/client/react-native/webcrypto.js',
        '^react-native$': '<rootDir>/phone.js',
        '^@react-native-async-storage/async-storage$': '<rootDir>/phone.js',
      },
    },
  ],
};
